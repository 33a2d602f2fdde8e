/** Faults of etcd 3.5. A file for each release, so that they run at the same time. */
import { faultsOf } from "./etcd-faults.ts";

faultsOf("3.5");

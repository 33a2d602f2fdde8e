/** A process to be killed in the middle of starting a lab. */
import { up } from "../../src/lab/lab.ts";

await up({ name: process.argv[2] ?? "", hosts: 2, agent: false });

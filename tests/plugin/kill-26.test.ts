/** kill -9 of the agent in the middle of Docker 26.1's calls. A file for each engine, so that they run at the same time. */
import { killsOf } from "./kills.ts";

killsOf("26.1");

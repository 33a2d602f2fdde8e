/** kill -9 of the agent in the middle of Docker 20.10's calls. A file for each engine, so that they run at the same time. */
import { killsOf } from "./kills.ts";

killsOf("20.10");

/** Loads what an agent loads or may load, and ends: afterwards all of it lies translated in Node's compile cache. `bin/manx` starts it. */
import "../agent/config-text.ts";
import "../agent/main.ts";
import "./commands/agent.ts";
import "./run.ts";

/** The command `manx`. What it does is in commands/, one file a command; this file starts it and sees that it ends well. */
import { Cli } from "./cli.ts";
import { EXIT } from "./exit-codes.ts";
import { run } from "./run.ts";

/** `manx ls | head`: who has read enough closes the pipe, which is no error. */
function endOfPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(process.exitCode ?? EXIT.ok);
}

for (const stream of [process.stdout, process.stderr]) stream.on("error", endOfPipe);
process.exitCode = await run(process.argv.slice(2), new Cli());

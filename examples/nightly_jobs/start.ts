import { deliver, pause, runAgentBeside, say } from "../support/demo.ts";

const jobs = `http://${process.env["WEBHOOK_LISTEN"] ?? "127.0.0.1:8081"}/jobs`;
// A night is a minute here.
process.env["SCHEDULE"] ||= "* * * * *";

await runAgentBeside(import.meta.dirname, async (signal) => {
  const report = async (job: string, status: string, error?: string): Promise<void> => {
    if (!signal.aborted) say(`${job}: ${status}`);
    await deliver(jobs, { job, status, error }, signal);
  };
  await report("nightly-export", "success");
  await report("nightly-report", "running");
  await pause(1_000, signal);
  await report("nightly-report", "failed", "disk full");
  await pause(3_000, signal);
  await report("nightly-report", "running");
  await pause(1_000, signal);
  await report("nightly-report", "success");
  say("nightly-backup must report success once a minute, and does not; the first full minute is over in one to two minutes");
  while (!signal.aborted) {
    await pause(25_000, signal);
    await report("nightly-export", "success");
  }
});

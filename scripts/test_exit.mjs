/**
 * Loaded before every test file (`node --import`). A file whose tests are done but whose process does not end has left
 * something open (a server, a timer, a worker). The test runner would wait for it without end; this says what it is.
 */
import { after } from "node:test";

const GRACE_MS = 10_000;

// Only in the processes of test files, not in the runner that starts them.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  after(() => {
    const timer = setTimeout(() => {
      process.stderr.write(`all tests of ${process.argv[1]} are done, but it does not end; still open: ${process.getActiveResourcesInfo().join(", ")}\n`);
      process.exit(1);
    }, GRACE_MS);
    timer.unref();
  });
}

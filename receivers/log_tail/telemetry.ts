import type { ReceiverContext } from "../../src/sdk/component.ts";
import type { TailedFile } from "./file.ts";

/** Bytes of a file that were not handed on yet. */
export function lagBytes(file: TailedFile): number {
  return Math.max(0, file.size - file.saved.offset);
}

/** What log_tail counts beside what the pipeline counts for every receiver. Call once started. */
export function createTelemetry({ id, metrics }: ReceiverContext) {
  const labels = ["receiver"];
  const open = metrics.gauge({ name: "sojourn_log_tail_files_open", help: "Files held open.", labels });
  const lag = metrics.gauge({ name: "sojourn_log_tail_lag_bytes", help: "Bytes in files that were not read yet.", labels });
  const unreadable = metrics.gauge({
    name: "sojourn_log_tail_files_unreadable", help: "Files and directories that match and cannot be read.", labels,
  });
  const truncated = metrics.counter({
    name: "sojourn_log_tail_truncated_total", help: "Lines and records that were longer than allowed: only their head was taken.", labels,
  });
  const invalid = metrics.counter({
    name: "sojourn_log_tail_invalid_utf8_total", help: "Lines with bytes that are no UTF-8, replaced by U+FFFD.", labels,
  });
  return {
    truncated: truncated.series(id),
    invalid: invalid.series(id),
    update(files: Iterable<TailedFile>, unreadableFiles: number): void {
      let handles = 0;
      let bytes = 0;
      for (const file of files) {
        if (file.handle !== undefined) handles++;
        bytes += lagBytes(file);
      }
      open.series(id).set(handles);
      lag.series(id).set(bytes);
      unreadable.series(id).set(unreadableFiles);
    },
    end(): void {
      open.remove(id);
      lag.remove(id);
      unreadable.remove(id);
    },
  };
}

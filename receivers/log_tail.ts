import { RE2JS } from "re2js";
import { defineReceiver } from "../src/sdk/component.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError, messageOf } from "../src/sdk/errors.ts";
import { expectEverySchema } from "../src/sdk/expect_every.ts";
import { sizeBytes } from "../src/sdk/size.ts";
import { compileGlob, type GlobPath } from "./log_tail/glob.ts";
import { createTail } from "./log_tail/tail.ts";

const LINE_BYTES_MAX = 64 * 2 ** 20;

/**
 * Reads lines from files as they are written. A line is an observation whose body is its text, without the line end.
 *
 * A file is known by device, inode and a checksum of its head, so renaming, copytruncate, deletion, swapped symbolic
 * links and reused inodes neither lose lines nor repeat them. The offset of every file is committed with the effects of
 * the lines before it: a crash reads on exactly there. Lines of one file keep their order; a rotated file is read to its
 * end before the one that took its name. A last line without newline waits for it; in a file that was renamed or deleted
 * it is taken after 5 s of quiet. Empty lines are no observations. It is failing when none of the files that match can be read; one
 * that cannot be among others is reported, counted and shown. Keys follow the Collector's filelog receiver:
 * https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/receiver/filelogreceiver
 */
export const logTail = defineReceiver({
  type: "log_tail",
  summary: "Reads lines from files as they are written, through rotation and restarts.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["include"],
    properties: {
      include: {
        type: "array", minItems: 1, items: { type: "string", format: "glob" },
        description: "Globs of the files to read: `*`, `?`, `**`, `[a-z]`, `{a,b}`; relative ones count from the working directory.",
      },
      exclude: {
        type: "array", default: [], items: { type: "string", format: "glob" },
        description: "Globs of files that are not read though `include` matches them.",
      },
      start_at: {
        type: "string", enum: ["beginning", "end"], default: "end",
        description: "Where to begin in files that are there at the very first start. Files that appear later are read whole.",
      },
      poll_interval: { type: "string", format: "duration", default: "200ms", description: "How often files are looked at." },
      max_line_size: {
        type: "string", format: "size", default: "1MiB",
        description: "Longer lines and records are cut: the head is taken, with the attribute `log.truncated`.",
      },
      multiline: {
        type: "object", additionalProperties: false,
        description: "Joins lines into one record. Give one of the two patterns (RE2 syntax).",
        properties: {
          line_start_pattern: { type: "string", format: "regex", description: "A line that matches begins a record." },
          line_end_pattern: { type: "string", format: "regex", description: "A line that matches ends a record." },
          timeout: { type: "string", format: "duration", default: "1s", description: "A record ends after so long without a new line." },
          lines_max: { type: "integer", minimum: 1, maximum: 100_000, default: 1_000, description: "Lines in a record at most." },
        },
      },
      container: {
        type: "string", enum: ["auto", "cri", "docker"],
        description: "Lines are a container runtime's: joins partial lines per stream, takes their time, adds `log.iostream`.",
      },
      files_max: { type: "integer", minimum: 1, maximum: 100_000, default: 1_024, description: "Files held open at once. Ten times as many are followed; what matches beyond is reported, not read." },
      include_file_name: { type: "boolean", default: true, description: "Adds the attribute `log.file.name`." },
      include_file_path: { type: "boolean", default: true, description: "Adds the attribute `log.file.path`." },
      ...expectEverySchema,
    },
    examples: [{ include: ["/var/log/orders/*.log"], start_at: "beginning" }],
  },
  create(config, context) {
    const globs = (key: "include" | "exclude"): GlobPath[] =>
      config[key].flatMap((pattern, i) => at(`/${key}/${i}`, () => compileGlob(pattern, process.cwd())));
    const pattern = (key: "line_start_pattern" | "line_end_pattern"): RE2JS | undefined => {
      const text = config.multiline?.[key];
      return text === undefined ? undefined : at(`/multiline/${key}`, () => RE2JS.compile(text));
    };
    const lineBytesMax = sizeBytes(config.max_line_size);
    if (lineBytesMax < 1 || lineBytesMax > LINE_BYTES_MAX) throw new ConfigError("/max_line_size", "must be from 1B to 64MiB");
    const start = pattern("line_start_pattern");
    const end = pattern("line_end_pattern");
    if (config.multiline !== undefined && (start === undefined) === (end === undefined)) {
      throw new ConfigError("/multiline", "needs either line_start_pattern or line_end_pattern");
    }
    const multiline = config.multiline && { start, end, linesMax: config.multiline.lines_max };
    const assembles = multiline !== undefined || config.container !== undefined;
    return createTail(context, {
      include: globs("include"),
      exclude: globs("exclude"),
      fromEnd: config.start_at === "end",
      pollMs: Math.max(1, durationMs(config.poll_interval)),
      lineBytesMax,
      filesMax: config.files_max,
      fileName: config.include_file_name,
      filePath: config.include_file_path,
      records: assembles ? { container: config.container, multiline, lengthMax: lineBytesMax } : undefined,
      recordTimeoutMs: durationMs(config.multiline?.timeout ?? "1s"),
    });
  },
});

function at<T>(pointer: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    throw new ConfigError(pointer, messageOf(error), { cause: error });
  }
}

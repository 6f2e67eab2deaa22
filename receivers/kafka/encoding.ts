import { backoffMs, type Backoff } from "../../src/sdk/backoff.ts";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { decodeExactJson, decodeJson, decodeRaw, decodeText, Undecodable, type Decode } from "./decode.ts";
import type { RecordCursor } from "./records.ts";
import { checkRegistry, createRegistry, type RegistryConfig, type SchemaRegistry } from "./registry.ts";
import type { SchemaType } from "./schema_decoders.ts";
import { cloudEventsShape, debeziumShape, type Shape } from "./shape.ts";

const BACKOFF: Backoff = { firstMs: 500, maxMs: 10_000 };

export interface EncodingConfig {
  readonly encoding: "json" | "text" | "raw" | "debezium" | "cloudevents" | "avro" | "protobuf";
  readonly flattened: boolean;
  readonly schema_registry?: RegistryConfig | undefined;
}

/** How messages are read. */
export interface Encoding {
  readonly decode: Decode;
  readonly shape: Shape | undefined;
  readonly decodeKey: ((bytes: Buffer, start: number, end: number) => string | undefined) | undefined;
  /** Fetches whatever is needed to decode these records; waits as long as it takes, or until the signal aborts. */
  readonly prepare: ((records: () => RecordCursor) => Promise<void>) | undefined;
  close(): Promise<void>;
}

const PLAIN: Readonly<Record<EncodingConfig["encoding"], Decode>> = {
  json: decodeJson, text: decodeText, raw: decodeRaw, debezium: decodeExactJson, cloudevents: decodeExactJson, avro: decodeRaw, protobuf: decodeRaw,
};
const SCHEMA_TYPES: Readonly<Record<string, SchemaType>> = { json: "JSON", avro: "AVRO", protobuf: "PROTOBUF" };

/** What is wrong with the configuration, as `ConfigError`. */
export function checkEncoding({ encoding, flattened, schema_registry: registry }: EncodingConfig): void {
  if (registry === undefined && (encoding === "avro" || encoding === "protobuf")) throw new ConfigError("/schema_registry", `is missing: ${encoding} needs it`);
  if (registry !== undefined && (encoding === "text" || encoding === "raw")) throw new ConfigError("/schema_registry", `is not for ${encoding}`);
  if (flattened && encoding !== "debezium") throw new ConfigError("/flattened", "is for encoding: debezium");
  if (registry !== undefined) checkRegistry(registry);
}

/** `onTrouble`: the registry cannot be asked; undefined: it can again. */
export function createEncoding(
  config: EncodingConfig, context: ReceiverContext, signal: AbortSignal, onTrouble: (error: Error | undefined) => void,
): Encoding {
  const { encoding, flattened, schema_registry: registryConfig } = config;
  const shape = encoding === "debezium" ? debeziumShape(flattened) : encoding === "cloudevents" ? cloudEventsShape : undefined;
  if (registryConfig === undefined) {
    return { decode: PLAIN[encoding], shape, decodeKey: undefined, prepare: undefined, close: () => Promise.resolve() };
  }
  const registry = createRegistry(registryConfig, context.clock, SCHEMA_TYPES[encoding]);
  // What a key's schema is does not depend on how values are encoded.
  const keys = createRegistry(registryConfig, context.clock, undefined);

  async function load(from: SchemaRegistry, id: number): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await from.load(id, signal);
        if (failures > 0) onTrouble(undefined);
        return;
      } catch (error) {
        if (signal.aborted) return;
        onTrouble(new Error("the schema registry cannot be asked", { cause: error }));
        await context.clock.sleep(backoffMs(BACKOFF, ++failures, context.clock), signal).catch(() => undefined);
      }
    }
  }

  return {
    decode: (bytes, start, end) => registry.decode(bytes, start, end),
    shape,
    decodeKey(bytes, start, end) {
      if (bytes[start] !== 0) return undefined;
      const key = keys.decode(bytes, start, end);
      if (key instanceof Undecodable) return undefined;
      return typeof key === "string" ? key : JSON.stringify(key);
    },
    async prepare(records) {
      for (const record = records(); record.next() && !signal.aborted; ) {
        const { bytes, keyStart, keyEnd, valueStart, valueEnd } = record;
        const missing = valueStart < 0 ? undefined : registry.missing(bytes, valueStart, valueEnd);
        if (missing !== undefined) await load(registry, missing);
        const missingKey = keyStart < 0 ? undefined : keys.missing(bytes, keyStart, keyEnd);
        if (missingKey !== undefined) await load(keys, missingKey);
      }
    },
    close: async () => void await Promise.all([registry.close(), keys.close()]),
  };
}

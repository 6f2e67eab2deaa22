import { exactNumber } from "../../src/sdk/database_value.ts";
import { messageOf, PermanentError } from "../../src/sdk/errors.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { decodeJson, Undecodable, type Decode } from "./decode.ts";

export type SchemaType = "AVRO" | "PROTOBUF" | "JSON";

/** A schema as the registry has it. */
export interface SchemaText {
  readonly type: SchemaType;
  readonly schema: string;
  readonly references: readonly { readonly name: string; readonly subject: string; readonly version: number }[];
}

const NOT_AVRO = new Undecodable("not what its Avro schema says");
const NOT_PROTOBUF = new Undecodable("not what its Protobuf schema says");
const DEPTH_MAX = 200;

/** Throws `PermanentError` on a schema that nobody understands. Libraries are loaded when the first of their kind comes. */
export async function decoderOf(schema: SchemaText, references: ReadonlyMap<string, SchemaText>): Promise<Decode> {
  if (schema.type === "JSON") return decodeJson;
  try {
    return await (schema.type === "AVRO" ? avroDecoder(schema, references) : protobufDecoder(schema, references));
  } catch (error) {
    throw new PermanentError(messageOf(error), { cause: error });
  }
}

/** Unions become their value; bytes are base64; a decimal is a number where a double holds it, else text; so is a long. */
async function avroDecoder({ schema }: SchemaText, references: ReadonlyMap<string, SchemaText>): Promise<Decode> {
  const { default: avro } = await import("avsc");
  class Decimal extends avro.types.LogicalType {
    readonly #scale: number;
    constructor(attributes: { readonly scale?: unknown }, options?: object) {
      super(attributes as never, options as never);
      this.#scale = typeof attributes.scale === "number" && attributes.scale >= 0 && attributes.scale <= 400 ? attributes.scale : 0;
    }
    override _fromValue(bytes: Buffer): Json {
      return exactNumber(decimalText(bytes, this.#scale));
    }
    override _toValue(): undefined {
      return undefined;
    }
  }
  const long = avro.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => exactNumber(String(bytes.readBigInt64LE())),
    toBuffer: () => Buffer.alloc(8),
    fromJSON: (value: unknown) => value,
    toJSON: (value: unknown) => value,
    isValid: () => true,
    compare: () => 0,
  } as never);
  const options = { registry: { long } as Record<string, unknown>, logicalTypes: { decimal: Decimal } } as never;
  // What is referred to comes first: the deepest were found last.
  for (const referred of [...references.values()].reverse()) avro.Type.forSchema(JSON.parse(referred.schema) as never, options);
  const type = avro.Type.forSchema(JSON.parse(schema) as never, options);
  return (bytes, start, end) => {
    try {
      return plain(type.fromBuffer(bytes.subarray(start, end)), 0);
    } catch {
      return NOT_AVRO;
    }
  };
}

/** Names as in the schema; enums by name; bytes are base64; a 64-bit number is one where a double holds it, else text. */
async function protobufDecoder({ schema }: SchemaText, references: ReadonlyMap<string, SchemaText>): Promise<Decode> {
  const { default: protobuf } = await import("protobufjs");
  const root = new protobuf.Root();
  // First of all, so that its messages are the first of their package: a value names its message by number.
  const parsed = protobuf.parse(schema, root, { keepCase: true });
  const imports = new Set([...parsed.imports ?? [], ...parsed.weakImports ?? []]);
  for (const referred of references.values()) {
    for (const name of protobuf.parse(referred.schema, root, { keepCase: true }).imports ?? []) imports.add(name);
  }
  for (const name of imports) {
    const common = protobuf.common.get(name);
    if (common !== null && common.nested !== undefined) root.addJSON(common.nested);
  }
  root.resolveAll();
  const space = parsed.package === undefined ? root : root.lookup(parsed.package);
  const types = new Map<string, InstanceType<typeof protobuf.Type> | undefined>();

  function typeAt(path: readonly number[]): InstanceType<typeof protobuf.Type> | undefined {
    let found: unknown = space;
    for (const index of path) {
      const nested = (found as { readonly nestedArray?: readonly unknown[] } | null)?.nestedArray ?? [];
      found = nested.filter((one) => one instanceof protobuf.Type)[index];
    }
    return found instanceof protobuf.Type ? found : undefined;
  }

  return (bytes, start, end) => {
    try {
      const reader = protobuf.Reader.create(bytes.subarray(start, end));
      const path: number[] = [];
      const count = reader.sint32();
      if (count === 0) path.push(0);
      if (count < 0 || count > DEPTH_MAX) return NOT_PROTOBUF;
      for (let i = 0; i < count; i++) path.push(reader.sint32());
      const key = path.join();
      if (!types.has(key)) types.set(key, typeAt(path));
      const type = types.get(key);
      if (type === undefined) return NOT_PROTOBUF;
      return plain(type.toObject(type.decode(reader), { enums: String, defaults: true, arrays: true, objects: true }), 0);
    } catch {
      return NOT_PROTOBUF;
    }
  };
}

/** JSON of what a library decoded. */
function plain(value: unknown, depth: number): Json {
  if (depth > DEPTH_MAX) throw new Error("too deep");
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return exactNumber(String(value));
    case "string":
    case "boolean":
      return value;
    case "object":
      break;
    default:
      return null;
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (isLong(value)) return exactNumber(String(value.toBigInt()));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item, depth + 1)]));
}

/** What the library makes of a 64-bit number; no message has methods. */
function isLong(value: object): value is { toBigInt(): bigint } {
  return typeof (value as { toBigInt?: unknown }).toBigInt === "function";
}

/** A whole number in two's complement, its decimal point moved to the left. */
function decimalText(bytes: Buffer, scale: number): string {
  const unsigned = bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString("hex")}`);
  const value = BigInt.asIntN(Math.max(1, bytes.length * 8), unsigned);
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  return `${value < 0n ? "-" : ""}${whole}${scale === 0 ? "" : `.${digits.slice(digits.length - scale)}`}`;
}

/** More of transactions that are still under way does not fit into memory. */
export class StreamedTooLarge extends Error {
  override name = "StreamedTooLarge";
}

interface Part {
  /** The subtransaction that it belongs to. */
  readonly xid: number;
  readonly message: Buffer;
}

/**
 * Transactions that the server sends before they end (protocol version 2). Nothing of them counts until they commit; what a
 * rolled back savepoint did is forgotten with it.
 */
export class StreamedTransactions {
  readonly #bytesMax: number;
  readonly #parts = new Map<number, Part[]>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Keeps a copy. Throws `StreamedTooLarge` when all that is kept would be more than allowed. */
  add(transaction: number, xid: number, message: Buffer): void {
    if (this.#bytes + message.length > this.#bytesMax) throw new StreamedTooLarge(`transactions under way hold more than ${this.#bytesMax} bytes: from now on the server keeps them`);
    this.#bytes += message.length;
    let parts = this.#parts.get(transaction);
    if (parts === undefined) this.#parts.set(transaction, (parts = []));
    parts.push({ xid, message: Buffer.from(message) });
  }

  /** `xid` is the transaction itself, or one of its savepoints. */
  abort(transaction: number, xid: number): void {
    const parts = this.#parts.get(transaction);
    if (parts === undefined) return;
    if (xid === transaction) return this.#forget(transaction, parts);
    const kept = parts.filter((part) => part.xid !== xid);
    this.#bytes -= sizeOf(parts) - sizeOf(kept);
    this.#parts.set(transaction, kept);
  }

  /** Its messages in order; they are not kept any longer. */
  take(transaction: number): Buffer[] {
    const parts = this.#parts.get(transaction) ?? [];
    this.#forget(transaction, parts);
    return parts.map(({ message }) => message);
  }

  #forget(transaction: number, parts: readonly Part[]): void {
    this.#bytes -= sizeOf(parts);
    this.#parts.delete(transaction);
  }
}

function sizeOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { message }) => sum + message.length, 0);
}

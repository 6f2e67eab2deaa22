/** Settles as `work` does, or rejects with the signal's reason when that aborts first: whatever `work` makes of the signal. */
export function withSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const forget = (): void => signal.removeEventListener("abort", onAbort);
    work.then((value) => { forget(); resolve(value); }, (error: unknown) => { forget(); reject(error as Error); });
  });
}

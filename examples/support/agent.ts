import { pause } from "./demo.ts";

/** Waits until the agent of this demo, wherever its API listens, knows a resource; or until the signal aborts. */
export async function agentKnows(id: string, signal: AbortSignal): Promise<void> {
  const listen = process.argv.findLast((argument) => argument.startsWith("service.api.listen="))?.split("=")[1] ?? "127.0.0.1:9465";
  while (!signal.aborted) {
    const known = await fetch(`http://${listen}/api/v1/resources`, { signal })
      .then(async (response) => (await response.json()) as { readonly items: readonly { readonly id: string }[] })
      .catch(() => undefined);
    if (known?.items?.some((resource) => resource.id === id) === true) return;
    await pause(100, signal);
  }
}

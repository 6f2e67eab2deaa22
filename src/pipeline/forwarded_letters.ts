import { bodyOf, type Observation } from "../sdk/observation.ts";
import type { DeadLetter } from "./dead_letters.ts";
import type { Instance } from "./instance.ts";
import type { Services } from "./services.ts";

/**
 * From now on queues each dead letter for the exporters that take them. It leaves with the commit, like observations. One of an
 * exporter that takes them itself goes to no exporter: what fails there would come back for ever.
 */
export function forwardDeadLetters(instances: Iterable<Instance>, { deadLetters, queues }: Pick<Services, "deadLetters" | "queues">): void {
  const takers = new Set([...instances].filter(({ component }) => component.export !== undefined && component.takesDeadLetters !== undefined)
    .map(({ config }) => config.id));
  deadLetters.watch(takers.size === 0 ? undefined : (letter) => {
    if (takers.has(letter.component)) return;
    const carrier = carrierOf(letter);
    for (const exporter of takers) queues.get(exporter)?.add(carrier);
  });
}

function carrierOf({ number, at, component, reason, content }: DeadLetter): Observation {
  return {
    body: bodyOf(content), attributes: {}, time: at, source: component, id: undefined, traceparent: undefined, snapshot: false,
    self: undefined, transition: undefined, deadLetter: { number, reason },
  };
}

import { type AnyDefinition, type Exporter, type ExporterContext } from "../sdk/component.ts";

/** Definitions whose exporters print the alerts that they would send. */
export function printingInstead(definitions: readonly AnyDefinition[]): AnyDefinition[] {
  const printer = definitions.find(({ kind, type }) => kind === "exporter" && type === "console");
  return definitions.map((definition) => {
    if (definition.kind !== "exporter" || printer === undefined) return definition;
    return {
      ...definition,
      create(config: never, context: never): Exporter {
        const real = definition.create(config, context) as Exporter;
        if (real.notify === undefined) return real;
        const printing = printer.create({ format: "pretty", observations: false } as never, context) as Exporter;
        const { id } = context as ExporterContext;
        return { notify: (notification, signal) => printing.notify!({ ...notification, id: `${id} ${notification.id}` }, signal) };
      },
    };
  });
}

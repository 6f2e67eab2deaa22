import { alertmanager } from "../exporters/alertmanager.ts";
import { console as consoleExporter } from "../exporters/console.ts";
import { email } from "../exporters/email.ts";
import { kafka as kafkaExporter } from "../exporters/kafka.ts";
import { otlp } from "../exporters/otlp.ts";
import { pagerduty } from "../exporters/pagerduty.ts";
import { prometheus } from "../exporters/prometheus.ts";
import { slack } from "../exporters/slack.ts";
import { webhook as webhookExporter } from "../exporters/webhook.ts";
import { filter } from "../processors/filter.ts";
import { metrics } from "../processors/metrics.ts";
import { parse } from "../processors/parse.ts";
import { threshold } from "../processors/threshold.ts";
import { track } from "../processors/track.ts";
import { transform } from "../processors/transform.ts";
import { cdc } from "../receivers/cdc.ts";
import { httpPoll } from "../receivers/http_poll.ts";
import { kafka } from "../receivers/kafka.ts";
import { logTail } from "../receivers/log_tail.ts";
import { sqlPoll } from "../receivers/sql_poll.ts";
import { webhook } from "../receivers/webhook.ts";
import type { AnyDefinition } from "./sdk/component.ts";

/** Every component of this build: the only list. A component that is not here does not exist. */
export const components: readonly AnyDefinition[] = [
  cdc, httpPoll, kafka, logTail, sqlPoll, webhook,
  filter, metrics, parse, threshold, track, transform,
  alertmanager, consoleExporter, email, kafkaExporter, otlp, pagerduty, prometheus, slack, webhookExporter,
];

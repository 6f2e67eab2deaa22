import { isIP } from "node:net";
import type * as Client from "@platformatic/kafka";
import { kafkaClientOptions, type KafkaClientConfig } from "../../src/sdk/kafka_client.ts";

/** The client library, loaded when a receiver starts. */
export type KafkaClient = typeof Client;
type Connection = Client.Connection;

export interface Broker {
  readonly host: string;
  readonly port: number;
}

const CONNECT_MS_MAX = 5_000;

/** Open connections, one to each broker. */
export interface Connections {
  /** One that is ready; made when there is none. Files of secrets and certificates are read for each new one. */
  to(broker: Broker): Promise<Connection>;
  /** Versions that the broker at its other end takes, by the number of the request: least and most. */
  versions(connection: Connection): Promise<ReadonlyMap<number, readonly [number, number]>>;
  /** Cuts them all; what waits for an answer is rejected. Afterwards no handle is open, and none can be made. */
  close(): Promise<void>;
}

export function createConnections(kafka: KafkaClient, config: KafkaClientConfig, requestMsMax: number): Connections {
  const open = new Map<string, Promise<Connection>>();
  const versions = new WeakMap<Connection, Promise<ReadonlyMap<number, readonly [number, number]>>>();
  let closed = false;

  async function connect(key: string, { host, port }: Broker): Promise<Connection> {
    const connection = new kafka.Connection(config.client_id, await connectionOptions(config, host, requestMsMax));
    if (closed) throw new Error("closed");
    const forget = (): void => void open.delete(key);
    // Without a listener its errors would end the process; who waits for an answer is told anyway.
    connection.on("error", forget);
    connection.on("close", forget);
    connecting.add(connection);
    try {
      await connection.connect(host, port);
    } finally {
      connecting.delete(connection);
    }
    return connection;
  }
  const connecting = new Set<Connection>();

  async function end(connection: Connection): Promise<void> {
    await new Promise<void>((resolve) => {
      connection.close(() => resolve());
      // A peer that does not read would keep what was written, and with it the socket.
      connection.socket?.destroy();
    });
  }

  async function ask(connection: Connection): Promise<ReadonlyMap<number, readonly [number, number]>> {
    const { clientSoftwareName: name, clientSoftwareVersion: version } = kafka;
    const answer = await kafka.apiVersionsV3.api.async(connection, name, version)
      .catch(() => kafka.apiVersionsV1.api.async(connection, name, version));
    return new Map(answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]] as const));
  }

  return {
    to(broker) {
      if (closed) return Promise.reject(new Error("closed"));
      const key = `${broker.host}:${broker.port}`;
      let connection = open.get(key);
      if (connection === undefined) {
        connection = connect(key, broker);
        open.set(key, connection);
        connection.catch(() => void open.delete(key));
      }
      return connection;
    },
    versions(connection) {
      let known = versions.get(connection);
      if (known === undefined) {
        known = ask(connection);
        versions.set(connection, known);
        known.catch(() => void versions.delete(connection));
      }
      return known;
    },
    async close() {
      closed = true;
      const all = [...open.values()];
      await Promise.all([...connecting].map(end));
      await Promise.all(all.map((connection) => connection.then(end, () => undefined)));
    },
  };
}

async function connectionOptions(config: KafkaClientConfig, host: string, requestMsMax: number): Promise<Client.ConnectionOptions> {
  const { sasl, tls, tlsServerName } = await kafkaClientOptions(config);
  return {
    connectTimeout: CONNECT_MS_MAX,
    requestTimeout: requestMsMax,
    ...(sasl === undefined ? {} : { sasl }),
    // An address is no name to ask for: https://www.rfc-editor.org/rfc/rfc6066#section-3
    ...(tls === undefined ? {} : { tls, tlsServerName: tlsServerName === true && isIP(host) !== 0 ? false : tlsServerName ?? false }),
  };
}

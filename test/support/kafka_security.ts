import { execFile } from "node:child_process";
import { pbkdf2Sync, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { alterUserScramCredentialsV0, Connection, ScramMechanisms } from "@platformatic/kafka";

export type SaslMechanism = "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER";

/** The one user that brokers with SASL know. */
export const KAFKA_USER = "agent";
export const KAFKA_PASSWORD = "s3cret-pa55";

/** PEM files of the authority, and of a client that it vouches for. */
export interface KafkaCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** How clients reach a broker, beside the plain listener that brokers and tests use. */
export interface KafkaListener {
  readonly sasl?: SaslMechanism | undefined;
  /** `mutual`: a client needs a certificate. */
  readonly tls?: "server" | "mutual" | undefined;
}

/** Properties of the listener CLIENT; `folder` holds what `makeCertificates` made. */
export function listenerProperties({ sasl, tls }: KafkaListener, folder: string): Readonly<Record<string, string>> {
  const prefix = "listener.name.client.";
  return {
    ...(tls === undefined ? {} : {
      [`${prefix}ssl.keystore.type`]: "PEM",
      [`${prefix}ssl.keystore.location`]: join(folder, "broker.pem"),
      [`${prefix}ssl.truststore.type`]: "PEM",
      [`${prefix}ssl.truststore.location`]: join(folder, "ca.crt"),
      [`${prefix}ssl.client.auth`]: tls === "mutual" ? "required" : "none",
    }),
    ...(sasl === undefined ? {} : {
      "sasl.enabled.mechanisms": sasl,
      [`${prefix}sasl.enabled.mechanisms`]: sasl,
      [`${prefix}${sasl.toLowerCase()}.sasl.jaas.config`]: LOGIN[sasl],
    }),
  };
}

const SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;";

const LOGIN: Readonly<Record<SaslMechanism, string>> = {
  "PLAIN": `org.apache.kafka.common.security.plain.PlainLoginModule required user_${KAFKA_USER}="${KAFKA_PASSWORD}";`,
  "SCRAM-SHA-256": SCRAM,
  "SCRAM-SHA-512": SCRAM,
  // Takes tokens that nobody signed: {"alg":"none"}.
  "OAUTHBEARER": 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
};

/** A token as a broker with OAUTHBEARER takes it. */
export function unsecuredToken(lifetimeSeconds = 3_600): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1_000);
  return `${encode({ alg: "none" })}.${encode({ sub: KAFKA_USER, iat: now, exp: now + lifetimeSeconds })}.`;
}

/** Makes an authority, a certificate of brokers on 127.0.0.1 and localhost, and one of a client. */
export async function makeCertificates(folder: string): Promise<KafkaCertificates> {
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> => promisify(execFile)("openssl", args);
  await openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout", at("ca.key"), "-out", at("ca.crt"));
  await writeFile(at("san"), "subjectAltName=IP:127.0.0.1,DNS:localhost");
  for (const name of ["broker", "client"]) {
    await openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`));
    await openssl(
      "x509", "-req", "-in", at(`${name}.csr`), "-days", "2", "-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-CAcreateserial",
      "-out", at(`${name}.crt`), ...(name === "broker" ? ["-extfile", at("san")] : []),
    );
  }
  await promisify(execFile)("sh", ["-c", "cat broker.key broker.crt > broker.pem"], { cwd: folder });
  return { ca: at("ca.crt"), cert: at("client.crt"), key: at("client.key") };
}

/** Tells a broker, by its plain listener, what the user's password is. */
export async function createScramUser(port: number, mechanism: "SCRAM-SHA-256" | "SCRAM-SHA-512"): Promise<void> {
  const iterations = 4_096;
  const salt = randomBytes(16);
  const [bytes, digest] = mechanism === "SCRAM-SHA-256" ? [32, "sha256"] as const : [64, "sha512"] as const;
  const saltedPassword = pbkdf2Sync(KAFKA_PASSWORD, salt, iterations, bytes, digest);
  const id = mechanism === "SCRAM-SHA-256" ? ScramMechanisms.SCRAM_SHA_256 : ScramMechanisms.SCRAM_SHA_512;
  const connection = new Connection("test-support");
  await connection.connect("127.0.0.1", port);
  try {
    await alterUserScramCredentialsV0.api.async(connection, [], [{ name: KAFKA_USER, mechanism: id, iterations, salt, saltedPassword }]);
  } finally {
    await connection.close();
  }
}

import { INCOMPLETE, MALFORMED } from './varint.ts';

/** Protocol name and level, the first fields of CONNECT (MQTT 3.1.1 clauses 3.1.2.1 and 3.1.2.2). */

/** 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
export type ProtocolVersion = 3 | 4 | 5;

const MQTT = Uint8Array.of(0, 4, 0x4d, 0x51, 0x54, 0x54);
const MQISDP = Uint8Array.of(0, 6, 0x4d, 0x51, 0x49, 0x73, 0x64, 0x70);

/**
 * Mosquitto's bridges set the highest bit of the level in 3.1 and 3.1.1 ("private" mode), and mosquitto, EMQX and
 * aedes understand it. It is let through, so that a bridge keeps its loop protection behind the cluster address.
 */
const BRIDGE = 0x80;

/** Offset of the level byte; INCOMPLETE while bytes are missing, MALFORMED at the first byte of any other name. */
export function protocolLevelAt(bytes: Uint8Array, at: number, end: number): number {
  const name = at + 1 < end && bytes[at + 1] === MQISDP[1] ? MQISDP : MQTT;
  const present = Math.min(name.length, end - at);
  for (let i = 0; i < present; i++) if (bytes[at + i] !== name[i]) return MALFORMED;
  return end - at > name.length ? at + name.length : INCOMPLETE;
}

/** The version that the name just before `levelAt` and the level there stand for; undefined when there is none. */
export function protocolVersion(bytes: Uint8Array, levelAt: number): ProtocolVersion | undefined {
  const level = bytes[levelAt] as number;
  if (isMqisdp(bytes, levelAt)) return (level & ~BRIDGE) === 3 ? 3 : undefined;
  if (level === 5) return 5;
  return (level & ~BRIDGE) === 4 ? 4 : undefined;
}

/** Is the level that of a bridge, whose subscriptions all keep RETAIN as it was published? */
export function isBridge(bytes: Uint8Array, levelAt: number): boolean {
  return ((bytes[levelAt] as number) & BRIDGE) !== 0;
}

/**
 * The form in which an unknown level is refused. A level beyond 5 comes from a device newer than MQTT 5, which is then
 * the closest that both know (MQTT 5 [MQTT-3.1.2-2]); all others get the CONNACK of MQTT 3.1.1 ([MQTT-3.1.2-2] there).
 */
export function nearestVersion(bytes: Uint8Array, levelAt: number): ProtocolVersion {
  return !isMqisdp(bytes, levelAt) && (bytes[levelAt] as number) > 5 ? 5 : 4;
}

/** Told by the last byte of the name: `p` or `T`. */
function isMqisdp(bytes: Uint8Array, levelAt: number): boolean {
  return bytes[levelAt - 1] === MQISDP[7];
}

/** How long silence may last (rule 16). The owner counts the time. Milliseconds; Infinity is never. */

const GRACE = 1.5;

/**
 * Since the device's last packet: after so long it is given up [MQTT-3.1.2-22]. `keepAlive` is the value in the
 * device's CONNACK, in seconds.
 */
export function deviceSilenceMs(keepAlive: number): number {
  return keepAlive === 0 ? Number.POSITIVE_INFINITY : keepAlive * 1000 * GRACE;
}

/**
 * Since the last packet to the node: after so long it is pinged, well before it gives us up. `keepAlive` is what
 * this node asked for.
 */
export function nodeSilenceMs(keepAlive: number): number {
  return keepAlive === 0 ? Number.POSITIVE_INFINITY : keepAlive * 1000;
}

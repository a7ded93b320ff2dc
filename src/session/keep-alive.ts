/** Times are counted by the owner; these say how long (rule 16). Milliseconds; Infinity is never. */

const GRACE = 1.5;

/** Since the device's last packet: it is given up [MQTT-3.1.2-22]. `keepAlive` is what the device was told, in seconds. */
export function deviceSilenceMs(keepAlive: number): number {
  return keepAlive === 0 ? Number.POSITIVE_INFINITY : keepAlive * 1000 * GRACE;
}

/** Since the last packet to the node: ping it, well before it gives us up. `keepAlive` is what this node asked for. */
export function nodeSilenceMs(keepAlive: number): number {
  return keepAlive === 0 ? Number.POSITIVE_INFINITY : keepAlive * 1000;
}

/** In milliseconds; Infinity where it is off [MQTT-3.1.2-22]. `keepAlive` is what a CONNECT or CONNACK says, in seconds. */
export function keepAliveMs(keepAlive: number): number {
  return keepAlive === 0 ? Number.POSITIVE_INFINITY : keepAlive * 1000;
}

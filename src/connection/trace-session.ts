import type { PacketTrace } from './packet-trace.ts';
import { SessionForwarder } from './session-forwarder.ts';

/**
 * Shows the packets of this one session to a trace, until it is forsaken or the function that is returned is called. The
 * forwarder is given methods of its own in front of those of its class: no other session looks whether it is traced.
 */
export function traceSession(forwarder: SessionForwarder, trace: PacketTrace): () => void {
  const { deviceData, toDevice } = SessionForwarder.prototype;
  const end = () => {
    forwarder.deviceData = deviceData;
    forwarder.toDevice = toDevice;
  };
  forwarder.deviceData = (bytes, start, until) => {
    if (trace.isForsaken) end();
    else trace.fromDevice(bytes, start, until, forwarder.session.facts.isBetweenPackets);
    deviceData.call(forwarder, bytes, start, until);
  };
  forwarder.toDevice = (bytes, start, until) => {
    if (trace.isForsaken) end();
    else trace.toDevice(bytes, start, until, forwarder.session.facts.isBetweenPackets);
    toDevice.call(forwarder, bytes, start, until);
  };
  return end;
}

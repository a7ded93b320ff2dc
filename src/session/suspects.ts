import { uint16 } from '../base/bytes.ts';
import { varintEnd } from '../protocol/mqtt/varint.ts';
import { packetType } from './encode.ts';
import type { InflightFromDevice } from './inflight-from-device.ts';
import { qosOf } from './publish.ts';
import { goOn } from './resume.ts';
import { stage } from './stages.ts';
import type { State } from './state.ts';
import { filtersOf } from './subscribe.ts';

/**
 * A packet may kill the node that it is sent to, and the next node too, when it is sent again. After one death
 * nobody can say which of the packets under way did it. So all of them are suspects, and are sent again when it is
 * their session's turn. One that is still unanswered when the next node dies is not sent to a third (rule 4).
 */

/** A packet that two nodes in a row died of, as far as anybody can know. Its payload is not kept. */
export interface Suspect {
  readonly packet: 'PUBLISH' | 'SUBSCRIBE' | 'UNSUBSCRIBE';
  readonly qos: number;
  readonly bytes: number;
  /** Of SUBSCRIBE and UNSUBSCRIBE: the first filter. */
  readonly topic: string;
}

export class Suspects {
  private readonly state: State;

  constructor(state: State) {
    this.state = state;
  }

  /**
   * The node that served has died: what it had not answered is suspect. `isSudden`: within a moment of `tryAgain`. Returns
   * a packet that must not be sent to a third node, where there is one; the owner ends the device.
   */
  nodeDied(isSudden: boolean): Suspect | undefined {
    const { inflightFromDevice } = this.state;
    const unsent = inflightFromDevice?.nextResend ?? -1;
    for (
      let at = inflightFromDevice?.first() ?? -1;
      inflightFromDevice !== undefined && at >= 0;
      at = inflightFromDevice.next(at)
    ) {
      if (at === unsent) return undefined; // it had not come so far
      const now = inflightFromDevice.stage(at);
      if (now !== stage.sent && now !== stage.asked) continue;
      if (!inflightFromDevice.isSuspect(at)) inflightFromDevice.suspect(at);
      else if (isSudden) return described(this.state, inflightFromDevice, at);
    }
    return undefined;
  }

  /** Behind the event `suspected`: it is this session's turn. */
  tryAgain(): void {
    const { state } = this;
    if (
      state.phase !== 'rebuilding' ||
      state.migration === undefined ||
      state.migration.replays !== undefined
    )
      return;
    state.budget = state.options.packetsPerCall;
    goOn(state, state.migration);
    state.flush();
  }
}

/** Characters of a name that are logged at most. */
const MAX_NAME_BYTES = 256;

function described({ version }: State, inflightFromDevice: InflightFromDevice, at: number): Suspect {
  const packet = inflightFromDevice.packet(at);
  const bytes = packet.length;
  const type = (packet[0] as number) >> 4;
  if (type === packetType.publish) {
    const topicAt = varintEnd(packet, 1, bytes) + 2;
    const topic = packet.subarray(topicAt, topicAt + uint16(packet, topicAt - 2));
    return { packet: 'PUBLISH', qos: qosOf(packet[0] as number), bytes, topic: nameOf(topic) };
  }
  const [first] = filtersOf(packet, version);
  const name = type === packetType.subscribe ? 'SUBSCRIBE' : 'UNSUBSCRIBE';
  return { packet: name, qos: 0, bytes, topic: first === undefined ? '' : nameOf(first.filter) };
}

function nameOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, MAX_NAME_BYTES));
}

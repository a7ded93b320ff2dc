import { connect } from 'node:net';
import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import { atEnd } from './process.ts';
import { until } from './wait.ts';

/** A device that says what it is told to, and keeps what it hears. */
export interface Talker {
  readonly heard: readonly Packet[];
  say(packet: Packet): void;
  /** Its side has been ended by the other. */
  isClosed(): boolean;
  /** The return or reason code of its CONNACK. */
  code(): Promise<number>;
  /** Vanishes, without DISCONNECT. */
  vanish(): void;
}

export type TalkerOptions = Partial<Omit<IConnectPacket, 'cmd'>> & Pick<IConnectPacket, 'clientId'>;

/** Connects, and ends with the test file. */
export function talk(port: number, options: TalkerOptions): Talker {
  const { protocolVersion = 4 } = options;
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => {});
  atEnd(() => socket.destroy());
  const heard: Packet[] = [];
  const packets = parser({ protocolVersion }).on('packet', (packet) => heard.push(packet));
  let closed = false;
  socket
    .on('data', (chunk) => packets.parse(chunk))
    .on('close', () => {
      closed = true;
    });
  const say = (packet: Packet): void => void socket.write(generate(packet, { protocolVersion }));
  say({ cmd: 'connect', protocolId: 'MQTT', clean: true, keepalive: 0, protocolVersion, ...options });
  return {
    heard,
    say,
    isClosed: () => closed,
    async code() {
      const answer = () => heard.find((packet) => packet.cmd === 'connack');
      const connack = await until(() => answer() ?? (closed && 'closed'), 'CONNACK or a close');
      if (connack === 'closed') return -1;
      return connack.reasonCode ?? connack.returnCode ?? 0;
    },
    vanish: () => void socket.resetAndDestroy(),
  };
}

import type { Socket } from 'node:net';
import type { Aedes, Client } from 'aedes';
import type { Wills } from './takeover.ts';

/** What aedes has and its types do not. */
type Inside = Client & {
  will: object | null;
  /** It has said DISCONNECT. */
  _disconnected: boolean;
  /** Its end is that of the client that is registered under its id. */
  _authorized: boolean;
  readonly _parser: {
    /** Packets behind CONNECT, until that is answered; null when the client is closed. */
    readonly _queue: readonly { readonly cmd: string }[] | null;
    /** Part of a packet. */
    readonly _list: { readonly length: number };
  };
};
interface Registry {
  registerClient(client: Inside): void;
}

const DISCONNECT = Uint8Array.of(0xe0, 0);

/**
 * A device, or its proxy, may give a broker up that takes long to answer CONNECT, and say so by DISCONNECT. aedes reads that only
 * behind its CONNACK. So it took the session from the connection that the device had elsewhere by then; or it found the link ended
 * first, published the Will of a device that had said goodbye [MQTT-3.14.4-3], and held the client for connected for ever. Here who
 * has left before CONNACK takes nothing.
 */
export function heedEarlyGoodbyes(aedes: Aedes, wills: Pick<Wills, 'delWill'>): void {
  const { preConnect } = aedes;
  aedes.preConnect = (client, packet, done) => {
    const note = () => {
      const inside = client as Inside;
      if (hasSaidGoodbye(inside)) inside._disconnected = true;
    };
    // Before aedes itself hears of the end.
    (client.conn as Socket).prependOnceListener('end', note).prependOnceListener('close', note);
    preConnect(client, packet, done);
  };

  const inside = aedes as unknown as Registry;
  const registerClient = inside.registerClient.bind(aedes);
  inside.registerClient = (client) => {
    if (!client.closed && !hasSaidGoodbye(client)) return registerClient(client);
    client._disconnected = true;
    client._authorized = false;
    client.will = null; // of a link that ended before it was kept
    void wills.delWill({ id: client.id, brokerId: aedes.id }).catch(() => {});
    client.conn.destroy();
  };
}

/** Has it said that, and nothing else? What a device publishes behind CONNECT without waiting is taken first. */
function hasSaidGoodbye({ _parser: { _queue, _list }, conn }: Inside): boolean {
  if (_queue === null || _queue.length > 1 || _list.length > 0) return false;
  return _queue.length === 0 ? isGoodbye(conn as Socket) : _queue[0]?.cmd === 'disconnect';
}

/** Is it all that has come, and is not read yet? */
function isGoodbye(socket: Socket): boolean {
  if (socket.readableLength !== DISCONNECT.length) return false;
  const rest = socket.read() as Buffer | null;
  if (rest === null) return false;
  socket.unshift(rest);
  return rest.equals(DISCONNECT);
}

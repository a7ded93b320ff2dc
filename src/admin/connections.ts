/** Bounds the TCP connections at the admin port, so that idle ones cannot keep people and probes out. */

import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../base/time.ts';

export interface ConnectionPlaces {
  /** Connections of all sources together. */
  readonly max: number;
  /** Further ones, in which only probes are answered. */
  readonly reserve: number;
}

interface Place {
  readonly socket: Socket;
  readonly source: string;
  isReserve: boolean;
  /** Answers that are not sent to their end. */
  readonly open: Set<ServerResponse>;
  /** When the last answer was through, or given to a client that does not read it. */
  idleSinceMs: number;
}

/** A client that has not read its answer after so long is as good as idle. */
const UNREAD_MS = 5_000;

/**
 * Decides which connections the admin port takes. Their number is bounded. An idle connection gives way to a new
 * one, first the idle connections of the source that has most. When all are at work, probes are still answered, on
 * connections that are reserved for them.
 */
export class Connections {
  private readonly places = new Map<Socket, Place>();
  private readonly byAddress = new Map<string, Place>();
  private readonly withTls = new WeakMap<Socket, Place>();
  private readonly limits: ConnectionPlaces;
  private readonly clock: Clock;

  constructor(server: Server, limits: ConnectionPlaces, clock: Clock) {
    this.limits = limits;
    this.clock = clock;
    server.on('connection', (socket) => this.enter(socket));
    server.on('secureConnection', (socket: Socket) => this.secured(socket));
    server.on('request', (request, response) => this.begin(request.socket, response));
  }

  /** Whether only probes are answered on this connection, because everybody's places are taken. */
  isReserve(socket: Socket): boolean {
    return this.placeOf(socket)?.isReserve ?? false;
  }

  private placeOf(socket: Socket): Place | undefined {
    return this.places.get(socket) ?? this.withTls.get(socket);
  }

  /** Requests come on a socket of TLS, which shares only its address with the one that was accepted. */
  private secured(socket: Socket): void {
    const place = this.byAddress.get(addressOf(socket));
    if (place === undefined) socket.destroy();
    else this.withTls.set(socket, place);
  }

  private enter(socket: Socket): void {
    const { max, reserve } = this.limits;
    const isReserve = !this.hasRoom(false, max);
    if (isReserve && !this.hasRoom(true, reserve)) {
      socket.destroy();
      return;
    }
    const source = socket.remoteAddress ?? '';
    const place = {
      socket,
      source,
      isReserve,
      open: new Set<ServerResponse>(),
      idleSinceMs: this.clock.now(),
    };
    const address = addressOf(socket);
    this.places.set(socket, place);
    this.byAddress.set(address, place);
    socket.once('close', () => {
      this.places.delete(socket);
      if (this.byAddress.get(address) === place) this.byAddress.delete(address);
    });
  }

  /** Makes room if need be. */
  private hasRoom(inReserve: boolean, max: number): boolean {
    const taken = [...this.places.values()].filter(({ isReserve }) => isReserve === inReserve);
    if (taken.length < max) return true;
    const idle = this.mostIdle(taken);
    if (idle === undefined) return false;
    this.places.delete(idle.socket);
    idle.socket.destroy();
    return true;
  }

  /** The one that has been idle longest, of the source that has most places. */
  private mostIdle(taken: readonly Place[]): Place | undefined {
    const bySource = new Map<string, number>();
    for (const { source } of taken) bySource.set(source, (bySource.get(source) ?? 0) + 1);
    let found: Place | undefined;
    for (const place of taken) {
      if (!this.isIdle(place)) continue;
      const more = (bySource.get(place.source) ?? 0) - (bySource.get(found?.source ?? '') ?? 0);
      if (found === undefined || more > 0 || (more === 0 && place.idleSinceMs < found.idleSinceMs))
        found = place;
    }
    return found;
  }

  private isIdle({ open, idleSinceMs }: Place): boolean {
    if (open.size === 0) return true;
    const isAnswered = [...open].every((response) => response.writableEnded);
    return isAnswered && this.clock.now() - idleSinceMs > UNREAD_MS;
  }

  private begin(socket: Socket, response: ServerResponse): void {
    const place = this.placeOf(socket);
    if (place === undefined) return;
    if (place.isReserve) place.isReserve = !this.hasFree();
    place.open.add(response);
    place.idleSinceMs = this.clock.now();
    response.once('close', () => {
      place.open.delete(response);
      place.idleSinceMs = this.clock.now();
    });
  }

  private hasFree(): boolean {
    let taken = 0;
    for (const { isReserve } of this.places.values()) if (!isReserve) taken++;
    return taken < this.limits.max;
  }
}

/** Of a connection: no other has it at the same time. */
function addressOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

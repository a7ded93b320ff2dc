import { isUtf8 } from 'node:buffer';
import { bufferOf, GrowableBuffer } from '../../base/growable-buffer.ts';
import type { HandedMqtt, HandedWebSocket } from '../handed.ts';
import { HANDED_VERSION } from '../handed-version.ts';
import type { EndCause, Link, Peer, Target, Wire, WireEvents } from '../wire.ts';
import { FrameReader } from './frame-reader.ts';
import { sendBinary, sendControl } from './frame-writer.ts';
import { WebSocketPeer } from './peer.ts';
import { closeCode, isCloseCode, opcode } from './protocol.ts';
import { endOfHead, isNoRequest, MAX_HEAD_BYTES, readHead } from './request.ts';
import {
  checkUpgrade,
  type Refused,
  refuse,
  type Upgrade,
  type UpgradeHook,
  type UpgradeTerms,
} from './upgrade.ts';

/** Pongs that may wait for a device that does not read. */
const MAX_PONGS_WAITING = 16;
/** How long a device may take to read the close frame, where the connection has no bound of its own. */
const LINGER_MS = 2000;

/**
 * MQTT over WebSocket, between an engine and a connection: to the engine it is what is told (`WireEvents`), to the connection the
 * wire. The connection sees the bytes of MQTT and knows nothing of frames; nodes are spoken to in plain MQTT.
 *
 *   upgrading ──101──► open ──► closing
 *      └──4xx──────────────────────┘
 *
 * WebSocket has no half-close: whoever has sent a close frame hears nothing more. What a splice is elsewhere the layer
 * does itself, since every byte must be framed; back-pressure stays with the engine.
 */
export class WebSocketLayer implements Wire, WireEvents {
  readonly peer: WebSocketPeer;
  /** The engine's. */
  readonly wire: Wire;
  private readonly terms: UpgradeTerms;
  private readonly hook: UpgradeHook | undefined;
  private conversation: WireEvents | undefined;
  /** The request, until it is whole. */
  private head: GrowableBuffer | undefined = new GrowableBuffer();
  private reader: FrameReader | undefined;
  private spliced: Link = -1;
  /** The connection has been told that the device has ended. */
  private endTold = false;
  /** The connection has ended the device's side. */
  private isLeft = false;
  /** Our close frame, or the refusal, is sent. */
  private lastWordSent = false;
  private pongsWaiting = 0;

  constructor(wire: Wire, peer: Peer, terms: UpgradeTerms, hook?: UpgradeHook) {
    this.wire = wire;
    this.peer = new WebSocketPeer(peer);
    this.terms = terms;
    this.hook = hook;
  }

  /** To be called before the engine tells anything. */
  carry(conversation: WireEvents): void {
    this.conversation = conversation;
  }

  /**
   * For another process, around what the connection has described. Undefined while it closes; before the request is whole the
   * other process reads the rest of it.
   */
  describe(inner: HandedMqtt): HandedWebSocket | undefined {
    const { peer, head, reader, spliced, pongsWaiting } = this;
    if (!this.listens || this.lastWordSent) return undefined;
    const common = { version: HANDED_VERSION, kind: 'websocket', inner } as const;
    const request = peer.request && { ...peer.request };
    return { ...common, request, head: head?.copy, reader: reader?.describe(), spliced, pongsWaiting };
  }

  /** To be followed by `carry`, with the connection of `handed.inner` on this wire. */
  static revive(
    wire: Wire,
    peer: Peer,
    terms: UpgradeTerms,
    hook: UpgradeHook | undefined,
    { request, head, reader, spliced, pongsWaiting }: HandedWebSocket,
  ): WebSocketLayer {
    const layer = new WebSocketLayer(wire, peer, terms, hook);
    layer.peer.request = request;
    layer.head = head && bufferOf(head);
    layer.reader = reader && FrameReader.revive(reader);
    layer.spliced = spliced;
    layer.pongsWaiting = pongsWaiting;
    return layer;
  }

  // ---- from the device -------------------------------------------------------------------------------------

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    const { head, reader } = this;
    if (reader !== undefined) this.read(reader, bytes, start, end);
    else if (head !== undefined) this.greet(head, bytes, start, end);
  }

  private greet(head: GrowableBuffer, bytes: Uint8Array, start: number, end: number): void {
    const searched = head.length;
    head.append(bytes, start, end);
    const headEnd = endOfHead(head.bytes, head.length, searched);
    if (isNoRequest(head.bytes, head.length))
      return this.refuse(refuse(400, 'This port speaks HTTP, and then MQTT over WebSocket.'));
    if ((headEnd < 0 ? head.length : headEnd) > MAX_HEAD_BYTES)
      return this.refuse(refuse(431, `The request's head is longer than ${MAX_HEAD_BYTES} bytes.`));
    if (headEnd < 0) return;
    const request = readHead(head.bytes, headEnd);
    if (request === undefined) return this.refuse(refuse(400, 'This is no request of HTTP/1.1.'));
    const result = checkUpgrade(request, this.terms);
    if (result.kind === 'refused') return this.refuse(result);
    this.upgrade(result);
    if (this.reader !== undefined) this.read(this.reader, head.bytes, headEnd, head.length);
  }

  private refuse({ response }: Refused): void {
    this.head = undefined;
    this.respond(response);
    this.lastWordSent = true;
    this.ended('websocket');
  }

  private upgrade({ request, cookie, response }: Upgrade): void {
    this.head = undefined;
    this.peer.request = request;
    const addition = this.hook?.(this.peer, cookie) ?? { headers: [] };
    const { preferredNode } = addition;
    if (preferredNode !== undefined) this.peer.request = { ...request, preferredNode };
    this.respond(response(addition));
    this.reader = new FrameReader();
  }

  private respond(response: string): void {
    const bytes = Buffer.from(response, 'latin1');
    this.wire.toDevice(bytes, 0, bytes.length);
  }

  private read(reader: FrameReader, bytes: Uint8Array, start: number, end: number): void {
    if (!this.listens) return;
    reader.read(bytes, start, end);
    if (reader.to > reader.from) this.deliver(bytes, reader.from, reader.to);
    if (!this.listens) return;
    if (reader.fault !== 0) this.breakOff(reader.fault);
    else if (reader.close !== undefined) this.closeWith(reader.close);
    else if (reader.ping !== undefined) this.pong(reader.ping);
  }

  private get listens(): boolean {
    return !this.endTold && !this.isLeft;
  }

  private deliver(bytes: Uint8Array, start: number, end: number): void {
    if (this.spliced >= 0) this.wire.toNode(this.spliced, bytes, start, end);
    else this.conversation?.deviceData(bytes, start, end);
  }

  /** Of several pings in one read only the last is answered, so that a flood of pings costs little. */
  private pong(payload: Uint8Array): void {
    if (this.lastWordSent) return;
    this.pongsWaiting = this.wire.isDeviceBehind() ? this.pongsWaiting + 1 : 0;
    if (this.pongsWaiting <= MAX_PONGS_WAITING) sendControl(this.wire, opcode.pong, payload);
  }

  /** The device's close frame is answered with its own code (RFC 6455, 5.5.1). */
  private closeWith(payload: Uint8Array): void {
    if (payload.length === 0) this.sayClose(payload);
    else {
      const code = payload.length < 2 ? 0 : ((payload[0] as number) << 8) | (payload[1] as number);
      if (!isCloseCode(code)) return this.breakOff(closeCode.protocolError);
      if (!isUtf8(payload.subarray(2))) return this.breakOff(closeCode.invalidData);
      this.sayClose(payload.subarray(0, 2));
    }
    this.ended('fin');
    if (!this.isLeft) this.wire.endDevice('flush'); // it hears nothing more, whatever its node still says
  }

  private breakOff(code: number): void {
    this.sayCode(code);
    this.ended('websocket');
  }

  private sayCode(code: number): void {
    this.sayClose(Uint8Array.of(code >> 8, code & 0xff));
  }

  private sayClose(payload: Uint8Array): void {
    if (this.lastWordSent || this.reader === undefined) return;
    this.lastWordSent = true;
    sendControl(this.wire, opcode.close, payload);
  }

  deviceEnded(cause: EndCause): void {
    this.ended(cause);
  }

  private ended(cause: EndCause): void {
    if (this.endTold) return;
    this.endTold = true;
    if (this.spliced >= 0) this.carryEnd(this.spliced, cause);
    this.conversation?.deviceEnded(cause);
  }

  /** To the node: behind the last byte, or where the device has not ended in order at once, so that its Will fires. */
  private carryEnd(link: Link, cause: EndCause): void {
    this.wire.endNode(link, cause === 'fin' ? 'flush' : 'reset');
    this.finish();
  }

  private finish(): void {
    this.isLeft = true;
    this.wire.endDevice('flush');
  }

  // ---- from nodes ------------------------------------------------------------------------------------------

  linkOpened(link: Link): void {
    this.conversation?.linkOpened(link);
  }

  linkFailed(link: Link, reason: string): void {
    this.conversation?.linkFailed(link, reason);
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    if (link === this.spliced) this.toDevice(bytes, start, end);
    else this.conversation?.linkData(link, bytes, start, end);
  }

  linkEnded(link: Link, cause: EndCause): void {
    if (link === this.spliced && this.listens) {
      this.sayCode(cause === 'fin' ? closeCode.normal : closeCode.internalError);
      this.finish();
      this.wire.endNode(link, 'flush');
    }
    this.conversation?.linkEnded(link, cause);
  }

  timer(): void {
    this.conversation?.timer();
  }

  closed(bytesFromDevice: number, bytesToDevice: number): void {
    this.conversation?.closed(bytesFromDevice, bytesToDevice);
  }

  // ---- from the connection ---------------------------------------------------------------------------------

  toDevice(bytes: Uint8Array, start: number, end: number): void {
    if (end > start && this.reader !== undefined && !this.lastWordSent)
      sendBinary(this.wire, bytes, start, end);
  }

  toNode(link: Link, bytes: Uint8Array, start: number, end: number): void {
    this.wire.toNode(link, bytes, start, end);
  }

  dial(target: Target, greets?: boolean): Link {
    return this.wire.dial(target, greets);
  }

  splice(link: Link): void {
    this.spliced = link;
    if (this.endTold) this.carryEnd(link, 'fin'); // another end would have ended the connection by now
  }

  isDeviceBehind(): boolean {
    return this.wire.isDeviceBehind();
  }

  stillTakes(): boolean {
    return this.wire.stillTakes();
  }

  holdDevice(hold: boolean): void {
    this.wire.holdDevice(hold);
  }

  holdNode(link: Link, hold: boolean): void {
    this.wire.holdNode(link, hold);
  }

  nextTurn(task: () => void, link?: Link): void {
    this.wire.nextTurn(task, link);
  }

  guard<T>(run: () => T): T | undefined {
    return this.wire.guard(run);
  }

  endDevice(how: 'flush' | 'reset'): void {
    const isFirst = !this.isLeft;
    this.isLeft = true;
    if (how === 'flush') this.sayCode(closeCode.normal);
    else if (!isFirst || !this.lastWordSent) return this.wire.endDevice('reset');
    else this.wire.setTimer(LINGER_MS); // a reset could overtake what was just said
    this.wire.endDevice('flush');
  }

  /** With its own close frame it has said its last (RFC 6455, 5.5.1). */
  finishDevice(): void {
    this.sayCode(closeCode.normal);
  }

  finishNode(link: Link): void {
    this.wire.finishNode(link);
  }

  endNode(link: Link, how: 'flush' | 'reset', closed?: () => void): void {
    if (link === this.spliced) this.spliced = -1;
    this.wire.endNode(link, how, closed);
  }

  numbered(connection: number): void {
    this.wire.numbered(connection);
  }

  countAt(place: number): void {
    this.wire.countAt(place);
  }

  setTimer(ms: number): void {
    this.wire.setTimer(ms);
  }
}

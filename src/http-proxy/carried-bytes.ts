import type { Socket } from 'node:net';

/** Has the bytes of connections counted while they are open: a download, or a WebSocket, may last for hours. */

const INTERVAL_MS = 1_000;

/** What of a connection has been counted. */
interface Counted {
  fromDevice: number;
  toDevice: number;
}

export class CarriedBytes {
  private readonly open = new Map<Socket, Counted>();
  private readonly count: (fromDevice: number, toDevice: number) => void;
  private timer: NodeJS.Timeout | undefined;

  /** @param count is told what has come and gone since it was told last */
  constructor(count: (fromDevice: number, toDevice: number) => void) {
    this.count = count;
  }

  /** From now on until the connection closes: its bytes are counted once a second, and the last ones at its end. */
  add(socket: Socket): void {
    const counted = { fromDevice: 0, toDevice: 0 };
    this.open.set(socket, counted);
    this.timer ??= setInterval(() => this.look(), INTERVAL_MS).unref();
    socket.once('close', () => {
      this.lookAt(socket, counted);
      this.open.delete(socket);
      if (this.open.size > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    });
  }

  private look(): void {
    for (const [socket, counted] of this.open) this.lookAt(socket, counted);
  }

  private lookAt({ bytesRead, bytesWritten }: Socket, counted: Counted): void {
    if (bytesRead === counted.fromDevice && bytesWritten === counted.toDevice) return;
    this.count(bytesRead - counted.fromDevice, bytesWritten - counted.toDevice);
    counted.fromDevice = bytesRead;
    counted.toDevice = bytesWritten;
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type MqttClient } from 'mqtt';
import type { NodeView } from '../../admin/backend.ts';

/** Counts since the start. */
interface DeviceCounts {
  /** Devices that there should be. */
  readonly wanted: number;
  readonly connected: number;
  readonly sent: number;
  readonly received: number;
  readonly reconnects: number;
}

/** New connections at a time and their pause: about 400 a second, so that a large demo does not stall its own start. */
const BATCH = 20;
const BATCH_PAUSE_MS = 50;
/** Every device publishes once a second; the work is spread over so many ticks of a second. */
const TICKS = 10;

/**
 * So many devices of the `mqtt` package. Device k subscribes to its own topic and publishes to that of device k+1,
 * so that most messages cross from one node of the cluster to another.
 */
export class DemoDevices {
  private readonly url: string;
  private readonly count: number;
  private readonly devices: MqttClient[] = [];
  private readonly totals = { sent: 0, received: 0, reconnects: 0 };
  private readonly stopping = new AbortController();
  private readonly ready: Promise<void>;
  private readonly publisher: NodeJS.Timeout;
  private tick = 0;

  constructor(url: string, count: number) {
    this.url = url;
    this.count = count;
    this.ready = this.rampUp();
    this.publisher = setInterval(() => this.publish(), 1000 / TICKS);
  }

  counts(): DeviceCounts {
    return {
      ...this.totals,
      wanted: this.count,
      connected: this.devices.filter((device) => device.connected).length,
    };
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    clearInterval(this.publisher);
    await this.ready;
    await Promise.all(this.devices.map((device) => device.endAsync(true)));
  }

  private async rampUp(): Promise<void> {
    for (let index = 0; index < this.count && !this.stopping.signal.aborted; index++) {
      this.add(index);
      if (index % BATCH === BATCH - 1) await sleep(BATCH_PAUSE_MS);
    }
  }

  private add(index: number): void {
    const { totals } = this;
    const device = connect(this.url, {
      clientId: `demo-${index + 1}`,
      protocolVersion: 4, // what the embedded nodes speak
      reconnectPeriod: 500,
      queueQoSZero: false,
    });
    let connects = 0;
    device.on('connect', () => {
      connects += 1;
      if (connects > 1) totals.reconnects += 1;
      else device.subscribe(topicOf(index), { qos: 0 });
    });
    device.on('message', () => {
      totals.received += 1;
    });
    device.on('error', () => {}); // it tries again by itself, which is counted
    this.devices.push(device);
  }

  private publish(): void {
    this.tick += 1;
    for (let index = this.tick % TICKS; index < this.devices.length; index += TICKS) {
      const device = this.devices[index];
      if (!device?.connected) continue;
      device.publish(topicOf((index + 1) % this.count), `${this.tick} from demo-${index + 1}`);
      this.totals.sent += 1;
    }
  }
}

function topicOf(index: number): string {
  return `demo/${index + 1}`;
}

/** `20/20 devices · out 20/s · in 20/s · reconnects 0 · broker-1 7 · …`, with rates since `before`. */
export function describeDevices(
  now: DeviceCounts,
  before: DeviceCounts,
  seconds: number,
  nodes: readonly NodeView[],
): string {
  const rate = (count: 'sent' | 'received') => `${Math.round((now[count] - before[count]) / seconds)}/s`;
  return [
    `${now.connected}/${now.wanted} devices`,
    `out ${rate('sent')}`,
    `in ${rate('received')}`,
    `reconnects ${now.reconnects}`,
    ...nodes.map(
      ({ id, connections, health }) => `${id} ${connections}${health === 'unhealthy' ? ' (down)' : ''}`,
    ),
  ].join(' · ');
}

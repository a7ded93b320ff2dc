import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/time.ts';
import type { DeviceOrder, Unstamped } from '../data-plane-api/device-order.ts';
import type { Command } from '../data-plane-api/messages.ts';

/**
 * The last orders of people to devices: kicks and moves. A connection that stands still when one is given, because it goes over to
 * another thread or process, hears of it when it goes on, wherever that is:
 *
 *   order ──► threads, which find the device: done
 *     └─ kept ──► whoever has what stood still meanwhile tells it again (`since`)
 */

/** More do not come while a few connections stand still. */
const ORDERS_MAX = 1_000;

export class RecentOrders {
  private readonly clock: Clock;
  /** By their numbers, first to last. */
  private readonly orders = new Map<number, DeviceOrder>();
  /** Numbers of those that not every thread has answered yet, first to last. */
  private readonly unanswered = new Set<number>();
  /** The number of the last order. */
  last = 0;

  /** @param clock the same for all processes */
  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Gives an order to those who listen.
   * @param give resolves when every thread has answered
   * @param isDone whether whoever is meant has heard of it by that answer, so that nobody is told again
   */
  async carry<T>(
    unstamped: Unstamped,
    give: (order: DeviceOrder) => Promise<T>,
    isDone: (answer: T) => boolean,
  ): Promise<T> {
    const order = { ...unstamped, untilMs: this.clock.now() };
    const number = this.add(order);
    this.unanswered.add(number);
    try {
      const answer = await give(order);
      if (isDone(answer)) this.orders.delete(number);
      return answer;
    } finally {
      this.unanswered.delete(number);
    }
  }

  /** The number of the last order of those which every thread has answered, that one and all before it. */
  get answered(): number {
    const [first] = this.unanswered;
    return first === undefined ? this.last : first - 1;
  }

  /** Those that came behind that number, first to last. */
  since(number: number): readonly DeviceOrder[] {
    if (number === this.last) return [];
    return [...this.orders].flatMap(([at, order]) => (at > number ? [order] : []));
  }

  private add(order: DeviceOrder): number {
    if (order.type === 'move') this.forgetMoves(order);
    this.orders.set(++this.last, order);
    const [first] = this.orders.keys();
    if (this.orders.size > ORDERS_MAX && first !== undefined) this.orders.delete(first);
    return this.last;
  }

  /** Of several moves of a device the last one counts. */
  private forgetMoves({ whom }: DeviceOrder): void {
    for (const [number, earlier] of this.orders)
      if (earlier.type === 'move' && isDeepStrictEqual(earlier.whom, whom)) this.orders.delete(number);
  }
}

/** Says again what connections have not heard because they stood still. Nobody waits for the answer. */
export function orderAgain(
  threads: readonly { tell(command: Command): void }[],
  orders: readonly DeviceOrder[],
): void {
  for (const order of orders) for (const thread of threads) thread.tell({ ...order, request: 0 });
}

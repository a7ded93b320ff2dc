import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import type { DiscoveredNode, Discovery } from './discovery.ts';

/**
 * Asks now what the nodes are. Rejects when no good answer came; the message says why, without any secret.
 * @param signal ends the question when its time is over or the discovery stops
 */
export type Question = (signal: AbortSignal) => Promise<readonly DiscoveredNode[]>;

/** A question may take as long as the interval, within these bounds. */
const ANSWER_MIN_MS = 1000;
const ANSWER_MAX_MS = 10_000;

/** A failed question is asked again no later than this, however long the interval. */
const RETRY_MAX_MS = 10_000;

/** Asks again and again, one question at a time. */
export class Poll implements Discovery {
  private readonly label: string;
  private readonly intervalMs: number;
  private readonly question: Question;
  private readonly stopping = new AbortController();

  /** @param label names the source in faults, such as `dns emqx` */
  constructor(label: string, intervalMs: number, question: Question) {
    this.label = label;
    this.intervalMs = intervalMs;
    this.question = question;
  }

  async start(...[onNodes, onFault]: Parameters<Discovery['start']>): Promise<void> {
    const { label, intervalMs, question } = this;
    const stop = this.stopping.signal;
    const answerMs = Math.min(Math.max(intervalMs, ANSWER_MIN_MS), ANSWER_MAX_MS);
    const retryMs = Math.min(intervalMs, RETRY_MAX_MS);
    let told = '';
    let faulty = false;
    while (!stop.aborted) {
      const began = performance.now();
      const answer = await bounded(question, answerMs, stop).catch(messageOf);
      if (stop.aborted) return;
      if (typeof answer !== 'string') {
        const nodes = [...answer].sort((a, b) => (a.spec.id < b.spec.id ? -1 : 1));
        const text = JSON.stringify(nodes);
        if (text !== told) onNodes(nodes);
        told = text;
      } else if (!faulty) onFault(`${label}: ${answer}`);
      faulty = typeof answer === 'string';
      const pauseMs = (faulty ? retryMs : intervalMs) - (performance.now() - began);
      await sleep(Math.max(0, pauseMs), undefined, { signal: stop, ref: false }).catch(() => {});
    }
  }

  stop(): void {
    this.stopping.abort();
  }
}

/** Resolves in time even where the question cannot be cancelled, as with `getaddrinfo`. */
function bounded(ask: Question, timeoutMs: number, stop: AbortSignal): ReturnType<Question> {
  return new Promise((resolve, reject) => {
    const ending = new AbortController();
    const end = (reason: string) => {
      reject(new Error(reason));
      ending.abort();
    };
    const stopped = () => end('stopped');
    const timer = setTimeout(() => end(`no answer within ${timeoutMs} ms`), timeoutMs).unref();
    stop.addEventListener('abort', stopped, { once: true });
    ask(ending.signal)
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer);
        stop.removeEventListener('abort', stopped);
      });
  });
}

/** Collects how each started part is stopped, so that it is written beside its start. */

type Step = () => void | Promise<void>;

/** What is to be undone when a start fails, or at the end: the last part that was started stops first. */
export class Teardown {
  private readonly steps: Step[] = [];

  defer(...steps: readonly Step[]): void {
    this.steps.push(...steps);
  }

  /** The parts stop, the last one first. */
  deferStop(...parts: readonly { stop(): void | Promise<void> }[]): void {
    this.defer(...parts.map((part) => () => part.stop()));
  }

  /** Every step runs, whichever fails. @throws what the first of those that failed threw */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

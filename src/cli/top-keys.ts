/** What keys do in `breakwater top`: a state machine without a terminal. */

export type TopAction =
  | { readonly kind: 'quit' }
  | { readonly kind: 'act'; readonly verb: TopVerb; readonly node: string };

type TopVerb = 'drain' | 'enable';

const verbs: Readonly<Record<string, TopVerb>> = { d: 'drain', e: 'enable' };
const UP = ['\u001b[A', '\u001bOA', 'k'];
const DOWN = ['\u001b[B', '\u001bOB', 'j'];
/** In raw mode Ctrl-C is a key. */
const QUIT = ['q', '\u0003'];
const TOP_HELP = 'up, down: choose a node   d: drain it   e: enable it   q: quit';

export class TopKeys {
  selected: string | undefined;
  prompt = TOP_HELP;
  private asked: { readonly verb: TopVerb; readonly node: string } | undefined;

  /** What a key asks for. @param ids of nodes, as they are shown */
  press(key: string, ids: readonly string[]): TopAction | undefined {
    if (QUIT.includes(key)) return { kind: 'quit' };
    if (this.asked !== undefined) return this.confirm(key, this.asked);
    if (UP.includes(key)) this.step(-1, ids);
    else if (DOWN.includes(key)) this.step(1, ids);
    else this.ask(verbs[key]);
    return undefined;
  }

  /** What came of an action. */
  said(text: string): void {
    this.prompt = text;
  }

  private step(by: number, ids: readonly string[]): void {
    const at = this.selected === undefined ? -1 : ids.indexOf(this.selected);
    const next = at < 0 ? (by > 0 ? 0 : ids.length - 1) : at + by;
    this.selected = ids[Math.max(0, Math.min(ids.length - 1, next))];
    this.prompt = TOP_HELP;
  }

  private ask(verb: TopVerb | undefined): void {
    if (verb === undefined) {
      this.prompt = TOP_HELP;
      return;
    }
    if (this.selected === undefined) {
      this.prompt = `choose a node to ${verb} with up and down first`;
      return;
    }
    this.asked = { verb, node: this.selected };
    this.prompt = `${verb} node ${this.selected}? y: yes, any other key: no`;
  }

  private confirm(
    key: string,
    asked: { readonly verb: TopVerb; readonly node: string },
  ): TopAction | undefined {
    this.asked = undefined;
    this.prompt = key === 'y' ? `${asked.verb} node ${asked.node} …` : TOP_HELP;
    return key === 'y' ? { kind: 'act', ...asked } : undefined;
  }
}

/** A whole screen that is drawn over and over. The terminal gets back what it showed before. */

interface Output {
  readonly isTTY?: boolean;
  readonly rows?: number;
  write(text: string): unknown;
}

/** xterm's alternate screen; no cursor (DECTCEM); what is too long for a row is not shown (DECAWM). */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export class LiveScreen {
  private readonly output: Output;
  private isOpen = false;

  constructor(output: Output) {
    this.output = output;
  }

  /** Text whose names are printable already. Elsewhere than on a terminal it is printed below what was printed before. */
  draw(text: string): void {
    const { output } = this;
    if (!output.isTTY) return void output.write(`${text}\n`);
    const rows = (output.rows ?? 24) - 1; // a line end in the last row would scroll
    const lines = text.split('\n').slice(0, rows);
    const enter = this.isOpen ? '' : ENTER;
    this.isOpen = true;
    output.write(
      `${enter}${HOME}${lines.map((line) => `${line}${CLEAR_LINE}`).join('\r\n')}\r\n${CLEAR_BELOW}`,
    );
  }

  close(): void {
    if (this.isOpen) this.output.write(LEAVE);
    this.isOpen = false;
  }
}

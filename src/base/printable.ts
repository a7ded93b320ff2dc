/**
 * Control characters (C0, DEL and C1, which holds an escape sequence of one byte), line and paragraph separators, and what
 * turns the direction of text (Unicode: Bidi_Control).
 */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/**
 * Text as it may reach a terminal or a log, with `\u001b` for what would steer it. Devices choose client ids, topics and
 * names; whatever holds them passes here. JSON remains the same JSON.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

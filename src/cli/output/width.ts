/** How many columns of a terminal a text takes. */

/** Scripts and forms whose characters take two columns (Unicode Standard Annex 11: Wide and Fullwidth). */
const WIDE =
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2fb}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** Marks stand upon the character before them; format characters are not shown. */
const NOTHING = /^[\p{Mn}\p{Me}\p{Cf}\u200b]+$/u;
/** The variation selector that asks for a picture. */
const AS_PICTURE = '\ufe0f';
const ASCII = /^[\x20-\x7e]*$/;

let segmenter: Intl.Segmenter | undefined;

/** Takes its time to make, which no command waits for whose texts are ASCII. */
function charactersOf(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return segmenter.segment(text);
}

/** What a person takes for one character (Unicode Standard Annex 29) has one width, whatever it is made of. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of charactersOf(text)) width += widthOfCharacter(segment);
  return width;
}

/** The same text where it fits, else its beginning and `…`. */
export function cutTo(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let shown = '';
  let width = 1;
  for (const { segment } of charactersOf(text)) {
    width += widthOfCharacter(segment);
    if (width > columns) break;
    shown += segment;
  }
  return `${shown}…`;
}

function widthOfCharacter(character: string): 0 | 1 | 2 {
  if (NOTHING.test(character)) return 0;
  return WIDE.test(character) || character.includes(AS_PICTURE) ? 2 : 1;
}

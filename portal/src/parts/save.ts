/** Hands a file to the person. */
export function save(name: string, content: string, media = 'application/json'): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([content], { type: media }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Saves recovery codes, one in a line. */
export const saveCodes = (codes: string[]): void => save('depa-recovery-codes.txt', `${codes.join('\n')}\n`, 'text/plain');

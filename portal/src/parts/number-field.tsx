/** A number as it is typed, from 0 on. */
import { TextInput, type TextInputProps } from '@mantine/core';
import { useState } from 'react';

type Field = Omit<TextInputProps, 'value' | 'onChange'> & {
  /** Nothing where the field is empty. */
  value: number | '';
  onChange: (value: number | '') => void;
  /** Behind the point. */
  digits?: number;
};

export function NumberField({ value, onChange, digits = 0, ...field }: Field) {
  const [typed, setTyped] = useState(String(value));
  // What was typed stays as it is while it means the value: `2.` on the way to `2.5`.
  const shown = value !== '' && Number(typed) === value ? typed : String(value);
  const form = new RegExp(`^\\d*${digits > 0 ? `(\\.\\d{0,${digits}})?` : ''}$`);
  const change = (text: string) => {
    if (!form.test(text)) return;
    setTyped(text);
    onChange(text === '' ? '' : Number(text));
  };
  return <TextInput inputMode="decimal" {...field} value={shown} onChange={(event) => change(event.currentTarget.value)} />;
}

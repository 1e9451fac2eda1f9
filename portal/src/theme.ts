/** Colours and type of Mantine's components; the variables themselves stand in styles.css, so nothing is written inline. */
import { createTheme, Modal, type MantineColorsTuple } from '@mantine/core';
import { t } from './i18n';

/** The one accent colour. The same values stand in styles.css. */
const accent: MantineColorsTuple = [
  '#e8f4f2', '#cfe7e3', '#a3d2cb', '#74bcb2', '#4fa99d', '#2d9488', '#15796f', '#0b6b62', '#085850', '#04443e',
];

/** Made once the language is loaded: it holds a word. */
export const theme = () => createTheme({
  primaryColor: 'teal',
  primaryShade: { light: 7, dark: 4 },
  autoContrast: true,
  colors: { teal: accent },
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    // Its lock of scrolling would write a style element, which the page's policy stops.
    Modal: Modal.extend({ defaultProps: { lockScroll: false, transitionProps: { duration: 0 }, closeButtonProps: { 'aria-label': t('Close') } } }),
  },
});

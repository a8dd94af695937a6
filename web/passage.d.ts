/** Made by vite.config.ts. */
declare module "virtual:passage" {
  const text: string;
  export default text;
}

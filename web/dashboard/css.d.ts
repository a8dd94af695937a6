/** Vite bundles it. */
declare module "*.css";

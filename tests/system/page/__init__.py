"""The page with the QR code, fetched."""

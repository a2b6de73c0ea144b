"""The page with the QR code, as the login sees it."""

"""The image service in a file, beside the world that several processes of one machine see."""

from __future__ import annotations

import sqlite3
from typing import Final

from compute.image_store import Image, ImageKind, ImageStatus

TABLE: Final = """
CREATE TABLE IF NOT EXISTS images (
  number INTEGER PRIMARY KEY AUTOINCREMENT, image_id TEXT NOT NULL UNIQUE,
  instance_id TEXT NOT NULL, host TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
  backup_type TEXT NOT NULL);
"""
_ALL: Final = "SELECT image_id, instance_id, host, kind, status, backup_type FROM images"
_PUT: Final = (
    "INSERT INTO images (image_id, instance_id, host, kind, status, backup_type)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (image_id) DO UPDATE SET status = excluded.status"
)


class FileImages:
    """Images that several processes see; each change is one statement, so it is one."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(TABLE)

    def get(self, image_id: str) -> Image | None:
        """Return what there is of an image."""
        found = self._db.execute(f"{_ALL} WHERE image_id = ?", (image_id,)).fetchone()
        return None if found is None else _image_of(found)

    def all(self) -> list[Image]:
        """Return every image, the oldest first."""
        return [_image_of(row) for row in self._db.execute(f"{_ALL} ORDER BY number").fetchall()]

    def put(self, image: Image) -> None:
        """Leave an image as it is here."""
        self._db.execute(
            _PUT,
            (
                *(image.image_id, image.instance_id, image.host),
                *(image.kind.value, image.status.value, image.backup_type),
            ),
        )

    def delete(self, image_id: str) -> None:
        """Leave nothing of an image."""
        self._db.execute("DELETE FROM images WHERE image_id = ?", (image_id,))


def _image_of(row: tuple[str, ...]) -> Image:
    image_id, instance_id, host, kind, status, backup_type = row
    return Image(
        image_id=image_id,
        instance_id=instance_id,
        host=host,
        kind=ImageKind(kind),
        status=ImageStatus(status),
        backup_type=backup_type,
    )

"""Names under which modules are imported, where the package that brings them has another."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# By the name as pip compares it. None of these is what its name promises: there is no such package, or an empty one.
PACKAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bs4": "beautifulsoup4",
        "crypto": "pycryptodome",
        "cv": "opencv-python-headless",
        "cv2": "opencv-python-headless",
        "dateutil": "python-dateutil",
        "dotenv": "python-dotenv",
        "faiss": "faiss-cpu",
        "fitz": "PyMuPDF",
        "openssl": "pyOpenSSL",
        "pil": "Pillow",
        "pytorch": "torch",
        "skimage": "scikit-image",
        "sklearn": "scikit-learn",
        "tf": "tensorflow-cpu",
        "yaml": "PyYAML",
    }
)

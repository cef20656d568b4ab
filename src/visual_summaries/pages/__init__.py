"""What people look at: pages of one HTML file each, pictures of regions, static figures, and files for other tools."""

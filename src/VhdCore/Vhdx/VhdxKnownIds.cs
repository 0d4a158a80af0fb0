namespace VhdCore.Vhdx;

/// <summary>The identifiers of regions, metadata items and parent locators ([MS-VHDX] §2.2.3.2, §2.6.2 and §2.6.2.6.3).</summary>
internal static class VhdxKnownIds
{
    public static readonly Guid BatRegion = new("2dc27766-f623-4200-9d64-115e9bfd4a08");
    public static readonly Guid MetadataRegion = new("8b7ca206-4790-4b9a-b8fe-575f050f886e");

    public static readonly Guid FileParameters = new("caa16737-fa36-4d43-b3b6-33f0aa44e76b");
    public static readonly Guid VirtualDiskSize = new("2fa54224-cd1b-4876-b211-5dbed83bf4b8");
    public static readonly Guid VirtualDiskId = new("beca12ab-b2e6-4523-93ef-c309e000c746");
    public static readonly Guid LogicalSectorSize = new("8141bf1d-a96f-4709-ba47-f233a8faab5f");
    public static readonly Guid PhysicalSectorSize = new("cda348c7-445d-4471-9cc9-e9885251c556");
    public static readonly Guid ParentLocator = new("a8d35f2d-b30b-454d-abf7-d3d84834ab0c");

    // Not in the specification; Windows writes them, and OpenVMM's format definitions name them.
    public static readonly Guid Geometry = new("da02d7bc-3d3a-423c-ac88-2a36ab21479b");
    public static readonly Guid IncompleteFile = new("71cc85f0-1b69-4e28-9558-c3bf83ae75d3");
    public static readonly Guid PersistentMemoryLabel = new("10e1ae8a-4b7e-4169-a40f-cd70de928393");

    public static readonly Guid VhdxParentLocator = new("b04aefb7-d19e-4a81-b789-25b8e9445913");
}

namespace VhdCore.Vhdx;

/// <summary>The stable names of findings.</summary>
internal static class VhdxFindingId
{
    public const string Signature = "VHDX-SIGNATURE";
    public const string FileTooShort = "VHDX-FILE-TOO-SHORT";
    public const string FileLength = "VHDX-FILE-LENGTH";
    public const string HeaderNone = "VHDX-HEADER-NONE";
    public const string HeaderChecksum = "VHDX-HEADER-CHECKSUM";
    public const string HeaderOneInvalid = "VHDX-HEADER-ONE-INVALID";
    public const string HeaderEqualSequence = "VHDX-HEADER-EQUAL-SEQUENCE";
    public const string HeaderContradiction = "VHDX-HEADER-CONTRADICTION";
    public const string HeaderVersion = "VHDX-HEADER-VERSION";
    public const string LogVersion = "VHDX-LOG-VERSION";
    public const string LogLocation = "VHDX-LOG-LOCATION";
    public const string LogTooLarge = "VHDX-LOG-TOO-LARGE";
    public const string LogNoSequence = "VHDX-LOG-NO-SEQUENCE";
    public const string LogDirty = "VHDX-LOG-DIRTY";
    public const string LogStaleEntries = "VHDX-LOG-STALE-ENTRIES";
    public const string LogFileTruncated = "VHDX-LOG-FILE-TRUNCATED";
    public const string LogFileOffsets = "VHDX-LOG-FILE-OFFSETS";
    public const string LogTarget = "VHDX-LOG-TARGET";
    public const string LogTooManyUpdates = "VHDX-LOG-TOO-MANY-UPDATES";
    public const string RegionTableNone = "VHDX-REGION-TABLE-NONE";
    public const string RegionTableChecksum = "VHDX-REGION-TABLE-CHECKSUM";
    public const string RegionTableOneInvalid = "VHDX-REGION-TABLE-ONE-INVALID";
    public const string RegionTablesDiffer = "VHDX-REGION-TABLES-DIFFER";
    public const string RegionDuplicate = "VHDX-REGION-DUPLICATE";
    public const string RegionMissing = "VHDX-REGION-MISSING";
    public const string RegionUnknownRequired = "VHDX-REGION-UNKNOWN-REQUIRED";
    public const string RegionUnknown = "VHDX-REGION-UNKNOWN";
    public const string RegionNotRequired = "VHDX-REGION-NOT-REQUIRED";
    public const string RegionLocation = "VHDX-REGION-LOCATION";
    public const string RegionOverlap = "VHDX-REGION-OVERLAP";
    public const string MetadataTable = "VHDX-METADATA-TABLE";
    public const string MetadataItemLocation = "VHDX-METADATA-ITEM-LOCATION";
    public const string MetadataItemOverlap = "VHDX-METADATA-ITEM-OVERLAP";
    public const string MetadataItemDuplicate = "VHDX-METADATA-ITEM-DUPLICATE";
    public const string MetadataItemFlags = "VHDX-METADATA-ITEM-FLAGS";
    public const string MetadataItemUnknownRequired = "VHDX-METADATA-ITEM-UNKNOWN-REQUIRED";
    public const string MetadataItemUnknown = "VHDX-METADATA-ITEM-UNKNOWN";
    public const string MetadataItemMissing = "VHDX-METADATA-ITEM-MISSING";
    public const string MetadataIncompleteFile = "VHDX-METADATA-INCOMPLETE-FILE";
    public const string BlockSize = "VHDX-BLOCK-SIZE";
    public const string FileParameterFlags = "VHDX-FILE-PARAMETER-FLAGS";
    public const string DiskSize = "VHDX-DISK-SIZE";
    public const string SectorSize = "VHDX-SECTOR-SIZE";
    public const string BatTooSmall = "VHDX-BAT-TOO-SMALL";
    public const string ParentUnexpected = "VHDX-PARENT-UNEXPECTED";
    public const string ParentLocatorMissing = "VHDX-PARENT-LOCATOR-MISSING";
    public const string ParentLocatorType = "VHDX-PARENT-LOCATOR-TYPE";
    public const string ParentLocatorEntry = "VHDX-PARENT-LOCATOR-ENTRY";
    public const string ParentLinkage = "VHDX-PARENT-LINKAGE";
    public const string ParentLinkageSecond = "VHDX-PARENT-LINKAGE-SECOND";
    public const string ParentUnnamed = "VHDX-PARENT-UNNAMED";
}

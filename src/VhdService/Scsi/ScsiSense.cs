namespace VhdService.Scsi;

/// <summary>Why a command failed (SPC-3, 4.5): a sense key and an additional code with its qualifier.</summary>
/// <param name="Key">0 to 15; 0 is no sense.</param>
/// <param name="Code">ASC.</param>
/// <param name="Qualifier">ASCQ.</param>
internal readonly record struct ScsiSense(byte Key, byte Code, byte Qualifier)
{
    /// <summary>Bytes of the fixed format.</summary>
    public const int FixedSize = 18;

    /// <summary>Bytes of the descriptor format without descriptors.</summary>
    public const int DescriptorSize = 8;

    public static readonly ScsiSense None;
    public static readonly ScsiSense NotReady = new(0x2, 0x04, 0x00);
    public static readonly ScsiSense UnrecoveredReadError = new(0x3, 0x11, 0x00);
    public static readonly ScsiSense WriteError = new(0x3, 0x0C, 0x00);
    public static readonly ScsiSense InternalTargetFailure = new(0x4, 0x44, 0x00);
    public static readonly ScsiSense InvalidOpcode = new(0x5, 0x20, 0x00);
    public static readonly ScsiSense LbaOutOfRange = new(0x5, 0x21, 0x00);
    public static readonly ScsiSense InvalidFieldInCdb = new(0x5, 0x24, 0x00);
    public static readonly ScsiSense InvalidFieldInParameters = new(0x5, 0x26, 0x00);
    public static readonly ScsiSense ParameterListLength = new(0x5, 0x1A, 0x00);
    public static readonly ScsiSense ResetOccurred = new(0x6, 0x29, 0x00);
    public static readonly ScsiSense CapacityChanged = new(0x6, 0x2A, 0x09);
    public static readonly ScsiSense WriteProtected = new(0x7, 0x27, 0x00);
    public static readonly ScsiSense SpaceAllocationFailed = new(0x7, 0x27, 0x07);
    public static readonly ScsiSense Aborted = new(0xB, 0x00, 0x00);
    public static readonly ScsiSense Miscompare = new(0xE, 0x1D, 0x00);

    /// <summary>There is something to tell.</summary>
    public bool IsPresent => this != None;

    /// <summary>Fills the 18 bytes of the fixed format (SPC-3, 4.5.3): response code 70h.</summary>
    public void WriteFixed(Span<byte> into)
    {
        into[..FixedSize].Clear();
        into[0] = 0x70;
        into[2] = Key;
        into[7] = FixedSize - 8; // additional length
        into[12] = Code;
        into[13] = Qualifier;
    }

    /// <summary>Fills the 8 bytes of the descriptor format (SPC-3, 4.5.2): response code 72h.</summary>
    public void WriteDescriptor(Span<byte> into)
    {
        into[..DescriptorSize].Clear();
        into[0] = 0x72;
        into[1] = Key;
        into[2] = Code;
        into[3] = Qualifier;
    }
}

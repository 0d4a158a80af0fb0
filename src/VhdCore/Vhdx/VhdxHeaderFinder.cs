using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>Reads both headers and says which one counts ([MS-VHDX] §2.2.2).</summary>
internal static class VhdxHeaderFinder
{
    private const string Structure = "header";

    // A writer updates the header some times in a session; no program gets here by counting.
    private const ulong LeastUpdates = 1 << 20;

    /// <summary>Both headers, and the current one; null where none can serve.</summary>
    /// <remarks>Where neither checksum is right, the header with the greater number of those with a signature is given, and a finding that refuses it.</remarks>
    public static async ValueTask<VhdxHeaderPair> FindAsync(IStorage storage, FindingList findings, CancellationToken cancellationToken)
    {
        var bytes = new byte[VhdxLayout.SecondHeaderOffset - VhdxLayout.FirstHeaderOffset + VhdxHeaderView.Size];
        await storage.ReadExactAsync(VhdxLayout.FirstHeaderOffset, bytes, "the headers", cancellationToken).ConfigureAwait(false);
        var secondBytes = bytes.AsSpan(VhdxLayout.SecondHeaderOffset - VhdxLayout.FirstHeaderOffset);
        var first = new VhdxHeaderView(bytes).ToHeader(VhdxLayout.FirstHeaderOffset);
        var second = new VhdxHeaderView(secondBytes).ToHeader(VhdxLayout.SecondHeaderOffset);
        var areEqual = secondBytes.SequenceEqual(bytes.AsSpan(0, VhdxHeaderView.Size));
        return new VhdxHeaderPair(first, second, Choose(first, second, areEqual, findings));
    }

    private static VhdxHeader? Choose(VhdxHeader first, VhdxHeader second, bool areEqual, FindingList findings)
    {
        var current = first.IsValid == second.IsValid
            ? second.SequenceNumber > first.SequenceNumber ? second : first
            : second.IsValid ? second : first;
        if (!first.IsValid && !second.IsValid)
        {
            return ChooseInvalid(first, second, findings);
        }

        if (first.IsValid != second.IsValid)
        {
            var other = first.IsValid ? second : first;
            findings.Warn(
                VhdxFindingId.HeaderOneInvalid, Structure, other.FileOffset,
                $"The header at byte {other.FileOffset} {Fault(other)}; the other one is used. A header update was interrupted, or the header was damaged.",
                isRepairable: true);
        }
        else if (first.SequenceNumber == second.SequenceNumber)
        {
            if (!areEqual)
            {
                findings.Corrupt(
                    VhdxFindingId.HeaderContradiction, Structure, first.FileOffset,
                    $"Both headers have the sequence number {first.SequenceNumber}, and they say different things: nothing tells which one is current.");
                return null;
            }

            // Disk2vhd writes the same header twice.
            findings.Note(
                VhdxFindingId.HeaderEqualSequence, Structure, first.FileOffset,
                $"Both headers have the sequence number {first.SequenceNumber} and are equal byte for byte, as Disk2vhd leaves them.");
        }

        if (current.SequenceNumber > ulong.MaxValue - LeastUpdates)
        {
            findings.Warn(
                VhdxFindingId.HeaderSequence, Structure, current.FileOffset + 8,
                $"The header's sequence number is {current.SequenceNumber}, almost the greatest there is: there is no greater one for a writer to go on with.", FindingRefusal.Writing);
        }

        return current;
    }

    private static VhdxHeader? ChooseInvalid(VhdxHeader first, VhdxHeader second, FindingList findings)
    {
        VhdxHeader? best = null;
        foreach (var header in (VhdxHeader[])[first, second])
        {
            if (header.HasSignature && (best is null || header.SequenceNumber > best.SequenceNumber))
            {
                best = header;
            }
        }

        if (best is null)
        {
            findings.Corrupt(
                VhdxFindingId.HeaderNone, Structure, first.FileOffset,
                $"Neither header begins with 'head' (bytes {first.FileOffset} and {second.FileOffset}): both were overwritten, or the file is something else.");
            return null;
        }

        findings.Corrupt(
            VhdxFindingId.HeaderChecksum, Structure, best.FileOffset,
            $"Neither header is valid: the one at byte {first.FileOffset} {Fault(first)}, the one at byte {second.FileOffset} {Fault(second)}.",
            Finding.IgnoreChecksumStep, FindingRefusal.Checksum);
        return best;
    }

    private static string Fault(VhdxHeader header) => header.HasSignature ? "has a wrong checksum" : "does not begin with 'head'";
}

/// <summary>Both headers.</summary>
/// <param name="First">At 64 KiB.</param>
/// <param name="Second">At 128 KiB.</param>
/// <param name="Current">The one that counts; null where none can.</param>
internal sealed record VhdxHeaderPair(VhdxHeader First, VhdxHeader Second, VhdxHeader? Current);

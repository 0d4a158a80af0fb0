using VhdCli.Output;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Primitives;

namespace VhdCli.Commands;

/// <summary>Opens disks, and traces what was opened.</summary>
internal static class DiskOpening
{
    public static async ValueTask<VirtualDisk> OpenAsync(CliSession session, string path, ImageOpenOptions options, CancellationToken cancellationToken)
    {
        session.Trace($"opening '{path}' for {(options.Writable ? "reading and writing" : "reading")}");
        var disk = await VirtualDisk.OpenAsync(path, options, session.Resolver, cancellationToken);
        Trace(session, disk);
        return disk;
    }

    public static void Trace(CliSession session, VirtualDisk disk)
    {
        if (!session.IsVerbose)
        {
            return;
        }

        for (var depth = 0; depth < disk.Images.Count; depth++)
        {
            var image = disk.Images[depth];
            session.Trace($"image {depth}: '{image.Path}', {Values.NameOf(image.Format)} {InfoText.Subformat(image.Kind)}, {ByteSize.Format(image.VirtualSize)} ({image.VirtualSize} bytes)");
            if (image.Vhd is { } vhd)
            {
                session.Trace($"  created by '{vhd.CreatorApplication}', footer at the {InfoText.Footer(vhd.FooterSource)}, size rule: {vhd.SizeRule}");
            }

            if (image.ParentPath is { } parent)
            {
                session.Trace($"  parent found at '{parent}'");
            }
        }
    }
}
